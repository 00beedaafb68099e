"""Every text that a person sees is there in each language, with its placeholders."""

import re

import polib
import pytest
from conftest import DEV_FOLDER
from translations import ADDON, FOLDER, LANGUAGES, export

PARTS = (r"%\(\w+\)[sd]|%[sd%]", r"</?[a-z]+[^>]*>", r"`[^`]*`")  # placeholders, tags, code


@pytest.fixture(scope="module")
def terms(postgres, tmp_path_factory):
    """The addon's terms as they are now."""
    return export(postgres, tmp_path_factory.mktemp("translations"))


def test_template_is_what_odoo_exports(terms):
    template = polib.pofile(str(FOLDER / f"{ADDON}.pot"))
    hint = f"run {DEV_FOLDER.name}/with-env translations.py"
    assert [entry.msgid for entry in template] == [entry.msgid for entry in terms], hint


@pytest.mark.parametrize("language", LANGUAGES)
def test_language_is_complete(terms, language):
    file = polib.pofile(str(FOLDER / f"{language}.po"))
    assert {entry.msgid for entry in file} == {entry.msgid for entry in terms}
    assert not [entry.msgid for entry in file if not entry.msgstr or entry.fuzzy or entry.obsolete]
    for entry in file:
        for part in PARTS:
            assert sorted(re.findall(part, entry.msgid)) == sorted(re.findall(part, entry.msgstr)), entry.msgid
