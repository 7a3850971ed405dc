"""Evasion folding: the words a reader sees instead of the code points that were typed.

Two depths. `plain` is safe for every language: width and font variants, invisible characters, Latin look-alikes inside
Latin words, case. `fold` goes on, for English: accents off, and `k1ll`, `k i l l`, `kiiiill` become `kill` where, and
only where, that makes a known word of an unknown one. So `mp3`, `1st` and `U S A` stay what they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterator

# Characters that show nothing: soft hyphen, joiners, fillers, bidi controls, variation selectors, tags
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
# Unicode normalisation sorts marks piled on one letter in quadratic time: 50,000 of them take 2.5 s, 16 do not matter
_PILED = re.compile(r"([^\w\s!-~]{16})[^\w\s!-~]+")
_ACCENTS = re.compile("[\u0300-\u036f]")
_LATIN = re.compile("[a-z]")
_WORD = re.compile(r"\w+")
_LOOK_ALIKES = str.maketrans(
    dict(
        zip(
            "асԁеһіјӏкмпорԛгѕтцѵԝхуьα" + "βεηικνορτυχωγ" + "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢɑɡı",
            "acdehijlkmnopqrstuvwxyba" + "benikvoptuxwy" + "abcdefghijklmnoprstuvwyzagi",
            strict=True,
        )
    )
)
_LETTERS_APART = re.compile(r"(?<!\w)[a-z](?:([ .\-_*])[a-z])(?:\1[a-z])+(?!\w)")
_STRETCHED = re.compile(r"([^\W\d_])\1{2,}")
_DISGUISED = re.compile(r"(?<![a-z0-9@$!|])(?=[a-z]*[0-9@$!|])[a-z0-9@$!|]+")
_PICTURE = re.compile("[\u2600-\u27bf\U0001f000-\U0001faff]")
_LEET = tuple(str.maketrans("013457@$!|8", reading) for reading in ("oieastasilb", "oleastaslib"))


def plain(text: str) -> str:
    """Case-folded NFKC without invisible characters; foreign look-alike letters in Latin words made Latin."""
    if text.isascii():
        return text.lower()
    text = _PILED.sub(r"\1", _INVISIBLE.sub("", text))
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return _WORD.sub(_one_script, unicodedata.normalize("NFC", text))


def fold(text: str, known: Container[str]) -> str:
    """`plain`, accents off, emoji apart, and disguised words put back where that gives a word in `known`."""
    text = plain(text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", text)))
        text = _PICTURE.sub(r" \g<0> ", text)
    text = _LETTERS_APART.sub(lambda run: _together(run[0], run[1], known), text)
    text = _DISGUISED.sub(lambda word: _undisguised(word[0], known), text)
    return _WORD.sub(lambda word: _unstretched(word[0], known), text) if _STRETCHED.search(text) else text


def _one_script(word: re.Match[str]) -> str:
    written = word[0]
    return written.translate(_LOOK_ALIKES) if not written.isascii() and _LATIN.search(written) else written


def _together(run: str, separator: str, known: Container[str]) -> str:
    """`k i l l` as `kill`; a lone I or a at either end stays apart: `I h a t e`, `k i l l a`."""
    letters = run.split(separator)
    for first, last in ((0, len(letters)), (1, len(letters)), (0, len(letters) - 1)):
        word = "".join(letters[first:last])
        if last - first > 2 and word in known:
            return " ".join([*letters[:first], word, *letters[last:]])
    return run


def _undisguised(word: str, known: Container[str]) -> str:
    core = word.rstrip("!|")
    letters = sum(map(str.isalpha, core))
    if len(core) < 4 or letters == len(core) or 2 * letters < len(core) or core in known:
        return word
    readings = (core.translate(table) for table in _LEET)
    return next((reading + word[len(core) :] for reading in readings if reading in known), word)


def _unstretched(word: str, known: Container[str]) -> str:
    """`kiiiill` as `kill`, `sooooo` as `so`; an unknown word keeps two of each."""
    if word in known or not _STRETCHED.search(word):
        return word
    return next((shorter for shorter in _shorter(word) if shorter in known), _STRETCHED.sub(r"\1\1", word))


def _shorter(word: str) -> Iterator[str]:
    yield _STRETCHED.sub(r"\1\1", word)
    yield _STRETCHED.sub(r"\1", word)
    yield re.sub(r"(\w)\1+", r"\1", word)
