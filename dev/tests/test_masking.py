"""The webhook's address is a secret wherever it stands: no text that people may read repeats it, nor a part of it."""

from urllib.parse import quote

import addon_tools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

masking = addon_tools.load("masking")
Mask, mask_path = masking.Mask, masking.mask_path
TOKEN = "s3cr3t/T%C3%B6ken+Value"
PLAIN = "AbCdEfGh0123456789"
URL = f"https://portal.iused.example/webhook/shipment/18/{PLAIN}"


@pytest.mark.parametrize(
    "url",
    [
        URL,
        f"{URL}/",
        f"https://portal.iused.example/webhook/{PLAIN}/shipment",
        f"https://portal.iused.example/webhook/shipment?supplier=18&token={PLAIN}",
        f"https://portal.iused.example/webhook/shipment?{PLAIN}",
        f"https://supplier:{PLAIN}@portal.iused.example/webhook/shipment",
        f"https://{PLAIN}@portal.iused.example/webhook/shipment",
    ],
)
def test_token_is_known_wherever_it_stands(url):
    mask = Mask(url)
    for text in (
        PLAIN,
        PLAIN.lower(),
        f"no {PLAIN}!",
        f"token={PLAIN[:11]}",
        f"…{PLAIN[7:]} is unknown",
        PLAIN[3:-3],
        url,
    ):
        for length in range(len(PLAIN), 7, -1):
            assert PLAIN[:length].lower() not in mask(text).lower(), text
        assert "***" in mask(text), text


def test_token_is_known_percent_encoded_or_not():
    for token in ("a b+c/d=e&f%g#h", "päss:wörd@2026", "100%sure&more"):
        url = f"https://portal.iused.example/webhook/{quote(token, safe='')}"
        for form in (token, quote(token), quote(token, safe=""), quote(token, safe="").lower(), quote(token).lower()):
            assert Mask(url)(f"<{form}>") == "<***>", form


def test_words_of_the_path_and_numbers_stay():
    for text in ("The shipment of supplier 18 is unknown to the webhook.", "iUsed", "", "/webhook/shipment/18", "***"):
        assert Mask(URL)(text) == text


def test_host_is_masked():
    assert Mask(URL)("no route to portal.iused.example") == "no route to ***"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, "/webhook/shipment/18/***"),
        (f"{URL}/", "/webhook/shipment/18/***"),
        (f"{URL}?more={PLAIN}", "/webhook/shipment/18/***?***"),
        (f"https://portal.iused.example/webhook/{PLAIN}/shipment", "/webhook/***/***"),
        ("https://portal.iused.example/short", "/***"),
        ("https://portal.iused.example", "/***"),
        (f"https://portal.iused.example/?token={PLAIN}", "/***?***"),
    ],
)
def test_path_is_shown_without_tokens(url, shown):
    assert mask_path(url) == shown


@settings(deadline=None)
@given(st.text(max_size=200), st.integers(0, 10), st.integers(8, 18))
def test_what_stands_around_a_part_of_the_token_stays(around, start, length):
    part = PLAIN[start : start + length]
    masked = Mask(URL)(f"\n{around}|{part}|{around}\n")
    if len(part) >= masking.PIECE:
        assert masked == f"\n{Mask(URL)(around)}|***|{Mask(URL)(around)}\n"
