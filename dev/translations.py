"""Brings `i18n/` up to date: exports the terms, keeps the translations that are there, and counts what is missing.

dev/with-env translations.py
"""

import os
import tempfile
import zipfile
from pathlib import Path

import package
import polib

from bootstrap import DEV, ROOT, say
from services import ADDON, Postgres, base_database, odoo_addons, odoo_once, odoo_script, write_config

DATABASE = f"iused_translations_{os.getpid()}"
FOLDER = ROOT / "i18n"
LANGUAGES = ("de", "fr", "nl")
# Times of the export, which would change the files each time, and what nobody fills in.
LEFT_OUT = ("POT-Creation-Date", "PO-Revision-Date", "Last-Translator", "Language-Team", "Report-Msgid-Bugs-To")

EXPORT = f"""
import io
from odoo.tools.translate import trans_export
file = io.BytesIO()
trans_export(False, ["{ADDON}"], file, "po", env)
result = file.getvalue().decode()
"""


def export(postgres, folder):
    """Return the addon's terms, as Odoo exports them from a database that it is installed in.

    Odoo reads every file of the addon's folder: it gets those that a user gets, not all of this checkout.

    :param folder: for what is needed meanwhile
    :rtype: polib.POFile
    """
    zipfile.ZipFile(package.make(folder)).extractall(folder / "addons")
    path = ",".join(map(str, [*odoo_addons(), folder / "addons"]))
    config = write_config(folder / "odoo.conf", postgres, DATABASE, addons_path=path)
    script = folder / "export.py"
    script.write_text(EXPORT)
    postgres.copy(base_database(postgres), DATABASE)
    try:
        odoo_once(postgres, config, DEV / "translations.log", "-i", ADDON, "--no-http")
        terms = polib.pofile(odoo_script(postgres, config, script, DEV / "translations.log"))
    finally:
        postgres.drop(DATABASE)
    for name in LEFT_OUT:
        terms.metadata.pop(name, None)
    return terms


def merge(terms, language):
    """Write a language's file: all of the terms, with the translations that it has of them already.

    :return: the number of terms without one
    """
    path = FOLDER / f"{language}.po"
    known = {entry.msgid: entry.msgstr for entry in polib.pofile(str(path))} if path.exists() else {}
    file = polib.POFile()
    file.header = terms.header
    file.metadata = {**terms.metadata, "Language": language}
    for term in terms:
        entry = polib.POEntry(
            msgid=term.msgid,
            msgstr=known.get(term.msgid, ""),
            comment=term.comment,
            occurrences=term.occurrences,
            flags=term.flags,
        )
        file.append(entry)
    file.save(str(path))
    return len(file.untranslated_entries())


def main():
    FOLDER.mkdir(exist_ok=True)
    say("translations: a database with the addon ...")
    with Postgres() as postgres, tempfile.TemporaryDirectory() as folder:
        terms = export(postgres, Path(folder))
    terms.save(str(FOLDER / f"{ADDON}.pot"))
    print(f"{len(terms)} terms")
    for language in LANGUAGES:
        print(f"{language}: {merge(terms, language)} without translation")


if __name__ == "__main__":
    main()
