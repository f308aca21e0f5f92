#!/bin/sh
PYTHONPATH=/usr/lib/markdown-it exec python3 -m markdown_it.cli.parse "$@"
