# Fragment of server/.
