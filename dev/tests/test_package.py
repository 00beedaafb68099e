"""What a user downloads is complete, and installs where there is nothing but Odoo."""

import ast
import posixpath
import re
import subprocess
import zipfile

import pytest
import requests
from conftest import DEV_FOLDER
from lxml import html

from services import Odoo, base_database, odoo_addons, odoo_once, write_config


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The zip, as the documented command makes it."""
    folder = tmp_path_factory.mktemp("package")
    made = subprocess.run([DEV_FOLDER / "package", folder], capture_output=True, text=True, check=True).stdout.strip()
    version = ast.literal_eval((DEV_FOLDER.parent / "__manifest__.py").read_text())["version"]
    assert made.endswith(f"/sale_iused-{version}.zip")
    return zipfile.ZipFile(made)


def test_package_holds_the_addon_and_nothing_of_its_development(package):
    names = [name.removeprefix("sale_iused/") for name in package.namelist()]
    assert not [name for name in package.namelist() if not name.startswith("sale_iused/")]
    needed = {
        "README.md",
        "SECURITY.md",
        "docs/settings.md",
        "docs/daily-work.md",
        "docs/sftp.md",
        "docs/http-contract.md",
    }
    assert {"__manifest__.py", "LICENSE", "static/description/icon.png", *needed} <= set(names)
    folders = {name.partition("/")[0] for name in names if "/" in name}
    assert not {"dev", "tests", ".ci", ".dev"} & folders
    assert {"controllers", "data", "models", "security", "static", "tools", "views", "wizards"} <= folders


def test_every_file_of_the_manifest_and_picture_of_the_page_is_in_it(package):
    manifest = ast.literal_eval(package.read("sale_iused/__manifest__.py").decode())
    page = html.fromstring(package.read("sale_iused/static/description/index.html").decode())
    pictures = [f"static/description/{source}" for source in page.xpath("//img/@src")]
    needed = [*manifest["data"], *manifest["demo"], *manifest.get("images", ()), *pictures]
    assert pictures
    assert not {f"sale_iused/{name}" for name in needed} - set(package.namelist())


def test_links_of_the_documents_in_it_lead_somewhere(package):
    names = set(package.namelist())
    for name in (name for name in names if name.endswith(".md")):
        for link in re.findall(r"\]\(([^)#]+)", package.read(name).decode()):
            if not link.startswith("http"):
                assert posixpath.normpath(posixpath.join(posixpath.dirname(name), link)) in names, f"{name}: {link}"


def test_package_installs_into_a_vanilla_odoo_and_answers(package, postgres, make_database, tmp_path):
    addons = tmp_path / "addons"
    package.extractall(addons)
    database = make_database(source=base_database(postgres))
    path = ",".join(map(str, [*odoo_addons(), addons]))
    config = write_config(tmp_path / "odoo.conf", postgres, database.name, addons_path=path)
    log = odoo_once(postgres, config, database.log, "-i", "sale_iused", "--no-http")
    assert not [line for line in log.splitlines() if " WARNING " in line or " ERROR " in line]
    with Odoo(postgres, config, database.log) as odoo:
        answer = requests.get(f"{odoo.url}/iused/v1/offers", timeout=60)
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")
