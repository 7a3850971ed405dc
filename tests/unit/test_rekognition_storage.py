"""Rekognition reads a picture in S3 by itself, where the bucket is one of ours."""

import pytest

from adapters.rekognition import Adapter, RekognitionSettings, stored_object
from gateway.domain import Content, Image, View

VIEW = View(b"jpeg", "image/jpeg", 100, 100)
HERE = "https://media.s3.eu-central-1.amazonaws.com/a/b%20c.jpg"


@pytest.mark.parametrize(
    ("url", "bucket", "key"),
    [
        (HERE, "media", "a/b c.jpg"),
        ("https://my.media.s3.amazonaws.com/x.png?X-Amz-Signature=1", "my.media", "x.png"),
        ("https://media.s3-eu-west-1.amazonaws.com/x.png", "media", "x.png"),
        ("https://s3.eu-west-1.amazonaws.com/media/a/x.png", "media", "a/x.png"),
    ],
)
def test_an_address_in_s3_names_bucket_and_key(url, bucket, key):
    assert stored_object(url) == {"Bucket": bucket, "Name": key}


@pytest.mark.parametrize(
    "url",
    [
        "https://media.example.com/a.jpg",
        "https://media.s3.amazonaws.com.example.com/a.jpg",
        "https://evil-s3.amazonaws.com.example/a.jpg",
        "https://media.s3.eu-west-1.amazonaws.com/",
        "https://s3.eu-west-1.amazonaws.com/media",
    ],
)
def test_any_other_address_is_none(url):
    assert stored_object(url) is None


def asked(image, *buckets):
    keys = {"access_key_id": "id", "secret_access_key": "secret", "operations": ["moderation"]}
    settings = RekognitionSettings(adapter="rekognition", region="eu-central-1", s3_buckets=buckets, **keys)
    return [call.json["Image"] for call in Adapter(settings).ask(Content((image,)))]


def test_a_picture_in_our_bucket_is_named_and_any_other_is_sent():
    image = Image("aa", (VIEW,), "image/jpeg", url=HERE)
    assert asked(image, "media") == [{"S3Object": {"Bucket": "media", "Name": "a/b c.jpg"}}]
    assert asked(image, "other") == asked(image) == [{"Bytes": "anBlZw=="}]
    assert asked(Image("aa", (VIEW,), "image/jpeg"), "media") == [{"Bytes": "anBlZw=="}]


def test_a_picture_that_moves_is_sent_frame_by_frame():
    image = Image("aa", (VIEW, VIEW), "image/gif", frames=2, url=HERE)
    assert asked(image, "media") == [{"Bytes": "anBlZw=="}] * 2
