"""Pages as a real browser has them: tests ask what a reader would see, not how the template is written."""

import shutil
import subprocess
from html.parser import HTMLParser


class Page(HTMLParser):
    """Tags with their attributes, and texts, in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        if data.strip() and self.tags[-1][0] not in ("style", "title"):
            self.texts.append(data.strip())

    def references(self):
        return [attributes[name] for _, attributes in self.tags for name in ("src", "href") if name in attributes]

    def count(self, tag, name, value):
        return sum(found == tag and attributes.get(name) == value for found, attributes in self.tags)

    @property
    def text(self):
        return " ".join(self.texts)


def in_browser(path, profile):
    """The page as the browser has it after parsing and after any script ran."""
    browser = shutil.which("chromium")
    assert browser, "chromium: expected it on the path, received none. Run: sudo apt-get install chromium"
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", *quiet, f"--user-data-dir={profile}"]
    finished = subprocess.run([*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, check=True)
    return Page(finished.stdout)
