#!/bin/sh
set -eu

good-evening
greeter "${1:-everyone}"
farewell "${1:-everyone}"
