# SPDX-License-Identifier: Apache-2.0
"""Transformers of the transformers package, with random weights."""

import numpy
import torch
import transformers
from torch import nn

from entry import Entry, mask, tokens

N_TOKENS = 30522


class Encoder(nn.Module):
    """An encoder called by position, and its last hidden state."""

    def __init__(self, net, names):
        super().__init__()
        self.net = net
        self.names = names

    def forward(self, *args):
        return self.net(**dict(zip(self.names, args)))[0]


class Pooled(Encoder):
    """The mean over a row's tokens, of length 1: a sentence embedding."""

    def forward(self, *args):
        hidden = super().forward(*args)
        used = args[1].unsqueeze(-1).expand(hidden.size()).float()
        mean = (hidden * used).sum(1) / used.sum(1).clamp(min=1e-9)
        return nn.functional.normalize(mean, p=2, dim=1)


class WithPast(nn.Module):
    """GPT-2 with its keys and values as inputs and outputs."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, ids, attention, *past):
        pairs = tuple(zip(past[0::2], past[1::2]))
        out = self.net(input_ids=ids, attention_mask=attention,
                       past_key_values=pairs, use_cache=True)
        return out.logits, *(t for pair in out.past_key_values for t in pair)


def encoder(make, config, names, wrap=Encoder):
    def build():
        config._attn_implementation = getattr(
            config, "attention_kind", "eager")
        return wrap(make(config), names)
    return build


def words(names, length=32):
    def inputs(rng, rows, length=length):
        made = {"input_ids": tokens(rng, rows, length, N_TOKENS),
                "attention_mask": mask(rng, rows, length),
                "token_type_ids": rng.integers(
                    0, 2, (rows, length)).astype(numpy.int64)}
        return {n: made[n] for n in names}
    return inputs


def sequence(names, axis=1):
    return {n: {axis: "sequence"} for n in names}


IDS_MASK = ("input_ids", "attention_mask")
IDS_MASK_TYPES = IDS_MASK + ("token_type_ids",)
LENGTHS = ({}, {"length": 11}, {"length": 80})


def bert_like(name, make, config, names, opsets, outputs=("hidden",),
              wrap=Encoder, quick=False):
    dynamic = sequence(names + (outputs if wrap is Encoder else ()))
    return Entry(name, encoder(make, config, names, wrap), words(names),
                 outputs, opsets, dynamic, LENGTHS, quick=quick)


def small_bert(**kw):
    return transformers.BertConfig(hidden_size=384, num_hidden_layers=6,
                                   num_attention_heads=12,
                                   intermediate_size=1536, **kw)


def scaled_dot_product(config):
    config.attention_kind = "sdpa"
    return config


def gpt2():
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(attn_implementation="eager"))


N_LAYERS, N_HEADS, HEAD = 12, 12, 64


def gpt2_inputs(rng, rows, length=16):
    return {"input_ids": tokens(rng, rows, length, 50257)}


def gpt2_past_inputs(rng, rows, length=1, past=9):
    made = {"input_ids": tokens(rng, rows, length, 50257),
            "attention_mask": numpy.ones((rows, past + length), numpy.int64)}
    for k in range(N_LAYERS):
        for part in ("key", "value"):
            made[f"past.{k}.{part}"] = rng.normal(
                0, 1, (rows, N_HEADS, past, HEAD)).astype(numpy.float32)
    return made


PAST = [f"{k}.{part}" for k in range(N_LAYERS) for part in ("key", "value")]

ENTRIES = [
    bert_like("bert_base", transformers.BertModel, transformers.BertConfig(),
              IDS_MASK_TYPES, (13, 11)),
    bert_like("minilm", transformers.BertModel, small_bert(),
              IDS_MASK_TYPES, (11,), quick=True),
    bert_like("minilm_sdpa", transformers.BertModel,
              scaled_dot_product(small_bert()), IDS_MASK_TYPES, (17,)),
    bert_like("minilm_pooled", transformers.BertModel, small_bert(),
              IDS_MASK, (14,), ("embedding",), Pooled),
    bert_like("bert_classes", transformers.BertForSequenceClassification,
              small_bert(num_labels=5), IDS_MASK_TYPES, (12,), ("logits",),
              type("Logits", (Encoder,), {})),
    bert_like("distilbert", transformers.DistilBertModel,
              transformers.DistilBertConfig(), IDS_MASK, (17,)),
    bert_like("roberta", transformers.RobertaModel,
              transformers.RobertaConfig(vocab_size=N_TOKENS,
                                         num_hidden_layers=4,
                                         max_position_embeddings=130),
              IDS_MASK, (14, 11)),
    bert_like("t5_encoder", transformers.T5EncoderModel,
              transformers.T5Config(vocab_size=N_TOKENS, d_model=256,
                                    num_layers=4), IDS_MASK, (13,)),
    bert_like("mpnet", transformers.MPNetModel,
              transformers.MPNetConfig(vocab_size=N_TOKENS,
                                       num_hidden_layers=3), IDS_MASK, (17,)),
    Entry("gpt2", lambda: Encoder(gpt2(), ("input_ids",)), gpt2_inputs,
          ("logits",), (13, 10), sequence(("input_ids", "logits")),
          ({}, {"length": 45})),
    Entry("gpt2_past", lambda: WithPast(gpt2()), gpt2_past_inputs,
          ("logits", *(f"present.{n}" for n in PAST)), (17,),
          {"input_ids": {1: "sequence"}, "logits": {1: "sequence"},
           "attention_mask": {1: "total"},
           **{f"past.{n}": {2: "past"} for n in PAST},
           **{f"present.{n}": {2: "total"} for n in PAST}},
          ({}, {"past": 0, "length": 6}, {"past": 30})),
]
