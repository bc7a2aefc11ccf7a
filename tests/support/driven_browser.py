"""A real browser that a test drives as a person would: it opens pages, sees their words, clicks, and types."""

import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from itertools import count

from websockets.sync.client import connect

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1400,2400",
    "--remote-debugging-port=0",
)
# The elements that a person would say bear these words, the innermost first; hidden ones are not seen.
FIND = """
(words, kinds) => {
  const shown = one => one.getClientRects().length > 0 && !one.disabled;
  const found = [...document.querySelectorAll(kinds)].filter(one => shown(one) && one.innerText.trim() === words);
  return found.at(-1) ?? null;
}
"""
# The field of a form below its label, whatever it is made of.
FIELD = """
name => {
  const labels = [...document.querySelectorAll('label, legend, span, div')]
    .filter(one => one.children.length === 0 && one.innerText?.trim() === name);
  for (let above of labels) {
    for (let level = 0; level < 8 && above; level++, above = above.parentElement) {
      const field = above.querySelector('input, textarea, select, button[role=combobox]');
      if (field) return field;
    }
  }
  return null;
}
"""
# As a person's typing does, this tells the page of the change; a field for a day takes no single keys from a script.
FILL = """
(field, text) => {
  field.scrollIntoView({block: 'center'});
  field.focus();
  const kind = field instanceof HTMLTextAreaElement ? HTMLTextAreaElement : HTMLInputElement;
  Object.getOwnPropertyDescriptor(kind.prototype, 'value').set.call(field, text);
  for (const event of ['input', 'change', 'blur']) field.dispatchEvent(new Event(event, {bubbles: true}));
}
"""


class Page:
    """A page of a browser, spoken to by the protocol of its developer tools."""

    def __init__(self, socket, session):
        self._socket, self._session, self._numbers = socket, session, count(1)

    def tell(self, method, **parameters):
        """Give an order, and return what came of it."""
        number = next(self._numbers)
        order = {"id": number, "method": method, "params": parameters}
        if self._session:
            order["sessionId"] = self._session
        self._socket.send(json.dumps(order))
        while (answer := json.loads(self._socket.recv())).get("id") != number:
            pass  # events, which nobody asked for
        assert "error" not in answer, answer
        return answer["result"]

    def run(self, script):
        """Run a script on the page, and return its value."""
        answer = self.tell("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, address):
        """Go to an address."""
        self.tell("Page.navigate", url=address)

    def words(self):
        """All that is to be read on the page."""
        return self.run("document.body?.innerText ?? ''")

    def wait_for(self, seen):
        """Wait until a function of the page's words returns something true, and return that."""
        while not (found := seen(self.words())):
            time.sleep(0.2)
        return found

    def click(self, words, kinds="button, a, label, li, [role]"):
        """Click on what bears these words, once it is there, and again if the page moved it away under the mouse.

        Prefect's forms do that: a complaint goes, with all below it, a second after the field was mended.
        """
        spot = f"({FIND})({json.dumps(words)}, {json.dumps(kinds)})"
        self.run("window.clicked = false")
        while not self.run("window.clicked"):
            while not self.run(f"{spot} !== null"):
                time.sleep(0.2)
            self.run(f"{spot}.scrollIntoView({{block: 'center'}})")
            self.run(f"{spot}.addEventListener('click', () => {{ window.clicked = true; }})")
            self._press(spot)

    def fill(self, name, text):
        """Put a text into the field of that name, as if it was typed, in the place of what is there."""
        spot = f"({FIELD})({json.dumps(name)})"
        while not self.run(f"{spot} !== null"):
            time.sleep(0.2)
        self.run(f"({FILL})({spot}, {json.dumps(text)})")

    def _press(self, spot):
        """Press the mouse where an element is."""
        at = self.run(
            f"(() => {{ const box = {spot}.getBoundingClientRect(); "
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        mouse = {"x": at[0], "y": at[1], "button": "left", "clickCount": 1}
        self.tell("Input.dispatchMouseEvent", type="mousePressed", **mouse)
        self.tell("Input.dispatchMouseEvent", type="mouseReleased", **mouse)


@contextmanager
def driven_browser(profile):
    """Start a browser and give its page; its profile is a folder of its own."""
    browser = shutil.which("chromium")
    assert browser, "chromium: expected it on the path, received none. Run: sudo apt-get install chromium"
    process = subprocess.Popen([browser, *QUIET, f"--user-data-dir={profile}"], stderr=subprocess.DEVNULL)
    try:
        told = profile / "DevToolsActivePort"
        while not (told.exists() and len(lines := told.read_text(encoding="utf-8").splitlines()) == 2):
            assert process.poll() is None
            time.sleep(0.1)
        with connect(f"ws://127.0.0.1:{lines[0]}{lines[1]}", max_size=None) as socket:
            browser_itself = Page(socket, None)
            target = browser_itself.tell("Target.createTarget", url="about:blank")["targetId"]
            session = browser_itself.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            yield Page(socket, session)
    finally:
        process.kill()
        process.wait()
