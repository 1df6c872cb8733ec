# Fragment of doc/.
