"""What the documents say holds: their examples are run, and their links lead somewhere."""

import re
import subprocess

import pytest
from conftest import DEV_FOLDER

from bootstrap import install_debian_packages

ROOT = DEV_FOLDER.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
# What differs from run to run.
VARIABLE = (
    (r"HTTP/1\\\.1", r"HTTP/1\\.[01]"),
    (r"S\d{5}", r"S\\d{5}"),
    (r'ETag:\\ "[0-9a-f]{32}"', r'ETag: "[0-9a-f]{32}"'),
    (r"Content\\-Length:\\ \d+", r"Content-Length: \\d+"),
)


def examples(text):
    """Return the commands of the console blocks, each with the lines of its output."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        lines = iter(block.splitlines())
        for line in lines:
            if line.startswith("$ "):
                command = [line[2:]]
                if "<<'END'" in line:
                    command += iter(lambda lines=lines: next(lines), "END")
                    command.append("END")
                found.append((command, []))
            elif line.startswith("    ") and not found[-1][1]:
                found[-1][0].append(line)
            elif line:
                found[-1][1].append(line)
    return [("\n".join(command), output) for command, output in found]


def pattern(line):
    """Return the regular expression of an output's line; "…" stands for anything."""
    expression = re.escape(line).replace("…", ".*")
    for variable, replacement in VARIABLE:
        expression = re.sub(variable, replacement, expression)
    return expression


@pytest.fixture(scope="module")
def curl():
    if subprocess.run(["sh", "-c", "command -v curl"], capture_output=True, check=False).returncode:
        assert install_debian_packages("curl"), "curl is missing and cannot be installed (apt-get install curl)"


def test_examples_of_the_contract_are_answered_as_it_says(refurbisher, curl, tmp_path):
    found = examples((ROOT / "docs/http-contract.md").read_text())
    assert len(found) > 8
    script = "\n".join(f"{command}\necho; echo '== next'" for command, _output in found)
    done = subprocess.run(
        ["bash", "-c", script.replace("curl ", "curl -s ")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "BASE": f"{refurbisher.odoo.url}/iused/v1", "KEY": refurbisher.key},
    )
    answers = done.stdout.replace("\r", "").split("== next\n")[:-1]
    for (command, output), answer in zip(found, answers, strict=True):
        place = 0
        for line in output:
            match = re.compile(pattern(line), re.MULTILINE).search(answer, place)
            assert match, f"$ {command}\nanswered\n{answer}\nand not (any more)\n{line}"
            place = match.end()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for link in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        if link.startswith("http"):
            continue
        path, _hash, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{document.name}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in anchors, f"{document.name}: {link} has no such heading"


def test_readme_is_read_in_a_few_minutes():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 110
