"""Deploy: check a bundle from a fresh process, publish it, swing the champion's ref, score files."""
