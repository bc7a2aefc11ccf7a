"""A page as its tags and texts: what a reader would see."""

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
