# Fragment of systemd/.
