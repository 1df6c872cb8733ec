# Fragment of conf/.
