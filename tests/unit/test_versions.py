"""By what replicas take a vendor's answers for those of the same vendor."""

import pytest

from gateway import registry
from gateway.replicas.versions import version_of
from tests.contract.replaying import CASES, VENDORS, adapter_for

OPENAI = {"adapter": "openai", "base_url": "https://api.example/v1", "api_key": "sk-1"}
TABLE = b"labels: {}"


def version(table=TABLE, **written):
    written = {**OPENAI, **written}
    return version_of(registry.settings_for("openai").model_validate(written), table)


@pytest.mark.parametrize(
    "tuned",
    [{"timeout": "9s"}, {"price_per_1k": 3.0}, {"rate_limit": "5/s"}, {"retry": {"attempts": 1}}, {"api_key": "sk-2"}],
    ids=str,
)
def test_patience_prices_and_keys_change_no_answer(tuned):
    assert version(**tuned) == version()


@pytest.mark.parametrize(
    "other", [{"model": "another"}, {"base_url": "https://x.example/v1"}, {"table": b"x"}], ids=str
)
def test_another_model_address_or_table_does(other):
    assert version(**other) != version()


def test_every_adapter_has_one_of_its_own():
    some = {case.vendor: adapter_for(case, "http://127.0.0.1:1").settings for case in CASES}
    assert len({version_of(settings, TABLE) for settings in some.values()}) == len(VENDORS) > 5
