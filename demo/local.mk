# Fragment of demo/.
