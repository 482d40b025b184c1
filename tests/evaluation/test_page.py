"""A page is one file that holds everything it shows, and runs no script but its own."""

import base64
import hashlib
import re

import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.evaluation.html import asset
from keras_unet3d.evaluation.page import Page, Section, cards, facts_list, write_page

EVIL = '</script><script>alert(1)</script><img src=x onerror="alert(2)">&'


def scripts_of(page):
    return re.findall(r"<script>(.*?)</script>", page, re.DOTALL)


@pytest.mark.parametrize("volume_view", [False, True])
def test_a_page_runs_only_its_own_scripts_and_loads_nothing(tmp_path, volume_view):
    write_page(tmp_path / "page.html", Page("Kidney", ["Words."], [Section("One", ["Text."])], "End.", volume_view))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#x27;", "'")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts_of(page)]
    assert len(digests) == (3 if volume_view else 1)
    assert rules["script-src"] == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert not re.search(r'<link|(src|href)="(?!data:|#)', page)
    assert ("Copyright (c) 2021, Niivue" in page) == volume_view


def test_all_text_of_a_page_is_escaped():
    page = Page(EVIL, [EVIL], [Section(EVIL, [EVIL, cards([(EVIL, EVIL, EVIL)]), facts_list([(EVIL, EVIL)])])], EVIL)
    assert "<script>alert" not in page.html
    assert 'onerror="' not in page.html
    assert page.html.count("&lt;/script&gt;&lt;script&gt;alert(1)") == 11


def test_niivue_is_the_one_that_was_published():
    digest = hashlib.sha256(asset("niivue.umd.js").encode()).hexdigest()
    assert digest in asset("README.md")
    assert "Redistribution and use in source and binary forms" in asset("niivue.LICENSE")


def test_a_page_in_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        write_page(tmp_path / "missing" / "page.html", Page("", [], []))
