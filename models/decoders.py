"""Decoders of captions: what a network saw in, words out, one after another.

Each takes regions of a picture, (B, L, D), as a `Captioner` projects them, and has

    forward(regions, words)      hidden states (B, S, T, D) behind each of `words` (B, S, T), S sentences a picture;
                                 `logits` of them are those of the next word
    counted(regions, sentences)  those of them alone that there is something to learn from, with the words that come next
    begin(regions)               a state: tensors by name, each with the batch first, so that a search may reorder them
    step(state, words)           logits (B, V) of the next word after `words` (B,), the state behind it, and where the network looked:
                                 shares (B, L) of the regions, which add up to 1
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.dropout import Dropout
from models.manual import Backward
from models.packed import PackedLSTM
from models.recurrence import ManualRNN

State = Mapping[str, Tensor]

# Numbers that are no word, as `tasks.words.vocabulary` has them.
PAD, START, END, UNKNOWN = range(4)


class Decoder(nn.Module, ABC):
    """Word embedding and output weights, which are one table where `tied`: the output layer then has a bias alone."""

    def __init__(self, words: int, width: int, dropout: float, tied: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.output = nn.Linear(width, words)
        if tied:
            self.output.register_parameter("weight", None)
        self.tied = tied
        self.dropout = Dropout(dropout)

    @abstractmethod
    def forward(self, regions: Tensor, words: Tensor) -> Tensor: ...

    @abstractmethod
    def begin(self, regions: Tensor) -> State: ...

    @abstractmethod
    def step(self, state: State, words: Tensor) -> tuple[Tensor, State, Tensor]: ...

    def counted(self, regions: Tensor, sentences: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (P, D) of all places of sentences (B, S, T) at which a word is said, and the words (P,), in any order.

        Fill is none of them; an UNKNOWN word may be.
        """
        said = sentences[:, :, 1:]
        counted = (said != PAD) & (said != UNKNOWN)
        return self(regions, sentences[:, :, :-1])[counted], said[counted]

    def embed(self, words: Tensor) -> Tensor:
        return self.dropout(self.embedding(words))

    def logits(self, hidden: Tensor) -> Tensor:
        table = self.embedding.weight if self.tied else self.output.weight
        return F.linear(self.dropout(hidden), table, self.output.bias)


class Recurrent(Decoder):
    """The course's `rnn` and `lstm`: the mean over all regions is the first hidden state, and the picture is not seen again.

    An LSTM's first cell state is 0.
    """

    def __init__(self, words: int, width: int, dropout: float, tied: bool, lstm: bool, backward: Backward) -> None:
        super().__init__(words, width, dropout, tied)
        self.first = nn.Linear(width, width)
        if lstm:
            self.recurrence: nn.RNNBase = PackedLSTM(width, width)
        else:
            self.recurrence = ManualRNN(width, width) if backward == "manual" else nn.RNN(width, width, batch_first=True)

    def _first(self, regions: Tensor) -> Tensor:
        first: Tensor = self.first(regions.mean(1))[None].to(self.first.weight.dtype)
        return first

    def _run(self, words: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (B, T, H), and the state (1, B, H) after them."""
        embedded = self.embed(words)
        if isinstance(self.recurrence, nn.LSTM):
            outputs, (hidden, cell) = self.recurrence(embedded, (hidden.contiguous(), cell.contiguous()))
        else:
            outputs, hidden = self.recurrence(embedded, hidden.contiguous())
        return outputs, hidden, cell

    def forward(self, regions: Tensor, words: Tensor) -> Tensor:
        first = self._first(regions).repeat_interleave(words.shape[1], 1)
        return self._run(words.flatten(0, 1), first, torch.zeros_like(first))[0].unflatten(0, words.shape[:2])

    def counted(self, regions: Tensor, sentences: Tensor) -> tuple[Tensor, Tensor]:
        if not isinstance(self.recurrence, PackedLSTM) or regions.is_cuda:
            return super().counted(regions, sentences)
        first, words = self._first(regions)[0].repeat_interleave(sentences.shape[1], 0), sentences.flatten(0, 1)
        lengths, order = (words[:, 1:] != PAD).sum(1).sort(descending=True)
        goes_on = lengths > torch.arange(words.shape[1] - 1, device=words.device)[:, None]
        places, numbers = goes_on.nonzero(as_tuple=True)
        rows = order[numbers]
        counts = tuple(count for count in goes_on.sum(1).tolist() if count)
        return self.recurrence.packed(self.embed(words[rows, places]), first[order], counts), words[rows, places + 1]

    def begin(self, regions: Tensor) -> State:
        first = self._first(regions)[0]
        return {
            "hidden": first,
            "cell": torch.zeros_like(first),
            "shares": regions.new_full(regions.shape[:2], 1 / regions.shape[1]),
        }

    def step(self, state: State, words: Tensor) -> tuple[Tensor, State, Tensor]:
        outputs, hidden, cell = self._run(words[:, None], state["hidden"][None], state["cell"][None])
        return self.logits(outputs[:, 0]), {**state, "hidden": hidden[0], "cell": cell[0]}, state["shares"]


class Attention(Decoder):
    """The course's LSTM with dot-product attention: at each word, the regions are weighed by their product with the hidden state.

    Both first states are the mean over all regions. The gates are written out, so that what words add to them is computed at once.
    `deep`: a word is said by the hidden state and what the network looks at together (after the deep output of Xu et al. 2015, equation 7,
    whose two sums have weights of their own), so that regions learn from words without a way through the gates.
    """

    def __init__(self, words: int, width: int, dropout: float, tied: bool, deep: bool = False) -> None:
        super().__init__(words, width, dropout, tied)
        self.deep = deep
        self.of_word, self.of_state = nn.Linear(width, 4 * width), nn.Linear(2 * width, 4 * width, bias=False)

    def forward(self, regions: Tensor, words: Tensor) -> Tensor:
        hidden = cell = regions.mean(1, keepdim=True).expand(-1, words.shape[1], -1)
        found = []
        for added in self.of_word(self.embed(words)).unbind(2):
            hidden, cell, context, _ = self._next(regions, hidden, cell, added)
            found.append(hidden + context if self.deep else hidden)
        return torch.stack(found, 2)

    def begin(self, regions: Tensor) -> State:
        mean = regions.mean(1)
        return {"regions": regions, "hidden": mean, "cell": mean}

    def _next(self, regions: Tensor, hidden: Tensor, cell: Tensor, added: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """States (B, S, D) behind a word that adds (B, S, 4 D) to the gates, what it saw (B, S, D), and where it looked (B, S, L)."""
        scores = hidden @ regions.transpose(1, 2) / math.sqrt(hidden.shape[2])
        shares = scores.float().softmax(2)
        context = shares.to(regions.dtype) @ regions
        gates = added + self.of_state(torch.cat([hidden.to(context.dtype), context], 2))
        take, forget, give, new = gates.chunk(4, 2)
        cell = forget.sigmoid() * cell + take.sigmoid() * new.tanh()
        return give.sigmoid() * cell.tanh(), cell, context, shares

    def step(self, state: State, words: Tensor) -> tuple[Tensor, State, Tensor]:
        added = self.of_word(self.embed(words))[:, None]
        hidden, cell, context, shares = self._next(state["regions"], state["hidden"][:, None], state["cell"][:, None], added)
        said = hidden + context if self.deep else hidden
        return self.logits(said[:, 0]), {**state, "hidden": hidden[:, 0], "cell": cell[:, 0]}, shares[:, 0]


class Block(nn.Module):
    """A layer of a transformer's decoder (Vaswani et al. 2017), norms first: words look at those before, then at the regions."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own, self.own_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.query, self.memory, self.cross_out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.inner = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), Dropout(dropout), nn.Linear(4 * width, width))
        self.dropout = Dropout(dropout)

    def _split(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """(B, T, parts D) to `parts` tensors (B, heads, T, D / heads)."""
        batch, count, width = x.shape
        return x.view(batch, count, parts, self.heads, width // parts // self.heads).permute(2, 0, 3, 1, 4).unbind(0)

    def remember(self, regions: Tensor) -> tuple[Tensor, ...]:
        """Keys and values of the regions."""
        return self._split(self.memory(regions), 2)

    def forward(self, x: Tensor, memory: tuple[Tensor, ...], past: tuple[Tensor, ...] | None = None) -> tuple[Tensor, ...]:
        """The layer's output for words (B S, T, D) of B pictures, where they looked (B, S T, L), and the keys and values of the words until now.

        `past`: keys and values of words before these; without it the first word is the first one of `x`.
        """
        query, key, value = self._split(self.own(self.norms[0](x)), 3)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
        if past is None:
            scores = scores.masked_fill(scores.new_ones(scores.shape[2:], dtype=torch.bool).triu(1), -torch.inf)
        found = scores.float().softmax(3).to(value.dtype) @ value
        x = x + self.dropout(self.own_out(found.transpose(1, 2).flatten(2)))
        # All sentences of a picture look at its regions at once.
        (query,) = self._split(self.query(self.norms[1](x)).view(memory[0].shape[0], -1, x.shape[2]), 1)
        scores = query @ memory[0].transpose(2, 3) / math.sqrt(query.shape[3])
        shares = scores.float().softmax(3)
        found = self.dropout(shares).to(memory[1].dtype) @ memory[1]
        x = x + self.dropout(self.cross_out(found.transpose(1, 2).flatten(2)).view_as(x))
        return x + self.dropout(self.inner(self.norms[2](x))), shares.mean(1), key, value


class Transformer(Decoder):
    """Blocks, places of words that are learned, and a norm at the end."""

    def __init__(self, words: int, width: int, dropout: float, tied: bool, layers: int, heads: int, length: int) -> None:
        super().__init__(words, width, dropout, tied)
        self.places = nn.Parameter(torch.randn(length, width) * width**-0.5)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, regions: Tensor, words: Tensor) -> Tensor:
        x = self.embed(words.flatten(0, 1)) + self.places[: words.shape[2]]
        for block in self.blocks:
            x = block(x, block.remember(regions))[0]  # type: ignore[operator]
        hidden: Tensor = self.norm(x).unflatten(0, words.shape[:2])
        return hidden

    def begin(self, regions: Tensor) -> State:
        state: dict[str, Tensor] = {}
        for number, block in enumerate(self.blocks):
            key, value = block.remember(regions)  # type: ignore[operator]
            none = key[:, :, :0]
            state |= {f"memory_key{number}": key, f"memory_value{number}": value, f"key{number}": none, f"value{number}": none}
        return state

    def step(self, state: State, words: Tensor) -> tuple[Tensor, State, Tensor]:
        x = (self.embed(words) + self.places[state["key0"].shape[2]])[:, None]
        now = dict(state)
        looked = []
        for number, block in enumerate(self.blocks):
            memory, past = (
                (state[f"memory_key{number}"], state[f"memory_value{number}"]),
                (state[f"key{number}"], state[f"value{number}"]),
            )
            x, shares, now[f"key{number}"], now[f"value{number}"] = block(x, memory, past)
            looked.append(shares[:, 0])
        return self.logits(self.norm(x[:, 0])), now, torch.stack(looked).mean(0)
