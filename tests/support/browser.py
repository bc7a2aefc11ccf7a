"""Pages as a real browser has them: tests ask what a reader would see, not how the template is written."""

import re
import shutil
import subprocess

from tests.support.html_page import Page


def in_browser(path, profile):
    """The page as the browser has it after parsing and after any script ran, and what its console says of it."""
    browser = shutil.which("chromium")
    assert browser, "chromium: expected it on the path, received none. Run: sudo apt-get install chromium"
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    quiet.append("--enable-logging=stderr")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", *quiet, f"--user-data-dir={profile}"]
    finished = subprocess.run([*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, check=True)
    page = Page(finished.stdout)
    page.console = re.findall(r"CONSOLE:\d+\] (.*)", finished.stderr)
    return page
