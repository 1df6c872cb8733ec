# Fragment of quant/.
