"""The programs are run, not collected: their names are those that such programs had."""

collect_ignore_glob = ["programs/*"]
