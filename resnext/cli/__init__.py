"""The command line: parse, call one verb, print; one file for each group of commands."""
