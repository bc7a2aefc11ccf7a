"""The import name: links to the three folders of the repository, and the recipes that come with them."""
