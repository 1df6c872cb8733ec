# Fragment of systemd/: units come here.
