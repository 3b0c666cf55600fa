"""Plots, contact sheets and self-contained HTML pages, for people."""
