"""How likely a causal language model finds a text: likelihood, ranks, entropy, Fast-DetectGPT's and Binoculars' statistics.

Two models may have a say. The *performer* is the one whose likelihood of the text counts; the *observer* says which tokens it
would expect there. Where only one model is given it is both. For token i, p is the performer's distribution and q the
observer's, given all tokens before it; logarithms are natural.

- mean log-likelihood: mean of log p(x_i) (Solaiman et al. 2019, arXiv:1908.09203);
- mean rank and mean log-rank, the likeliest token having rank 1 (Gehrmann, Strobelt & Rush 2019, arXiv:1906.04043;
  Mitchell et al. 2023, arXiv:2301.11305);
- mean entropy of p (Gehrmann et al. 2019);
- curvature, Fast-DetectGPT's sampling discrepancy in its analytic form (Bao et al. 2024, arXiv:2310.05130, section 2.3):
  (sum of log p(x_i) - sum of m_i) / sqrt(sum of v_i), with m_i and v_i mean and variance of log p(t) for t drawn from q;
- Binoculars' ratio of log-perplexity to cross-perplexity (Hans et al. 2024, arXiv:2401.12070, equation 4):
  sum of log p(x_i) / sum of m_i. Its cross-perplexity is -m_i, so both rest on the same two sums.

Machine text has a high likelihood and curvature, and a low rank and ratio.
"""

from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np

VERSION = "1"
"""Of the form of the text and the statistics together: another version may give other values for the same model."""

DIGITS = 4
"""Decimals that are kept. A sum of single precision over a batch of another shape, on another processor or with other
threads differs by some 1e-6; what is kept is the same then, but where a value lies at the edge of a rounding step."""

_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"})


class LanguageModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which causal language model reads what the cheap signals leave open, and how."""

    model: Annotated[
        str | None,
        msgspec.Meta(
            description="folder of a causal language model and its tokenizer, or the name of one on the Hugging Face hub; null for none"
        ),
    ] = None
    gguf_file: Annotated[
        str | None,
        msgspec.Meta(description="the GGUF file in that folder to take weights and tokenizer from; null for safetensors"),
    ] = None
    observer: Annotated[
        str | None,
        msgspec.Meta(
            description="folder or name of a second model with the same vocabulary, such as the base of an instructed `lm.model`: "
            "Binoculars' observer and Fast-DetectGPT's sampler; null lets one model be both"
        ),
    ] = None
    observer_gguf_file: Annotated[str | None, msgspec.Meta(description="as `lm.gguf_file`, for the observer")] = None
    tokens: Annotated[int, msgspec.Meta(description="tokens that are read from the start of a text", ge=32, le=8192)] = 200
    batch: Annotated[int, msgspec.Meta(description="texts that are read at once, of about the same length", ge=1)] = 8
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"], msgspec.Meta(description="precision that the model computes in")
    ] = "float32"
    device: Annotated[
        str, msgspec.Meta(description="where it computes, such as cpu or cuda:0; auto takes a GPU if there is one", min_length=1)
    ] = "auto"
    threads: Annotated[
        int, msgspec.Meta(description="processor threads of each worker; other numbers may change the last decimal", ge=1)
    ] = 1
    download: Annotated[
        bool, msgspec.Meta(description="whether a model of the hub that is not in the local cache may be fetched from the network")
    ] = False


class Tokens(NamedTuple):
    """What the models say of each token of one text but the first: float64[n] each."""

    log_likelihood: np.ndarray
    rank: np.ndarray
    entropy: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


class Statistics(NamedTuple):
    """The statistics of one text, rounded; `tokens` is the number of tokens that they are means over."""

    tokens: int
    log_likelihood: float
    rank: float
    log_rank: float
    entropy: float
    curvature: float
    binoculars: float


def form(text: str) -> str:
    """The text as a model reads it: typographic quotes and dashes in ASCII and white space collapsed, since they tell
    apart the typesetters and tools, not the authors."""
    return " ".join(text.translate(_QUOTES).split())


def tokens(logits: np.ndarray, following: np.ndarray, observer: np.ndarray | None = None) -> Tokens:
    """What is said of each token that follows.

    `logits` are the performer's, float[n, vocabulary], of any additive constant (log-probabilities too); row i stands
    before `following[i]`, int[n]. `observer` are the second model's in the same shape. Raises `ValueError` where shapes disagree.
    """
    if logits.ndim != 2 or following.shape != logits.shape[:1] or (observer is not None and observer.shape != logits.shape):
        raise ValueError(
            f"logits {logits.shape}, tokens {following.shape} and observer {None if observer is None else observer.shape} do not "
            "belong together; a token would be judged by another one's distribution. Give one row of logits a token, over one vocabulary."
        )
    scored = _log_softmax(logits)
    performed = np.exp(scored)
    expected = performed if observer is None else np.exp(_log_softmax(observer))
    found = np.take_along_axis(scored, following[:, None], axis=1)[:, 0]
    # What has no probability adds nothing, and not 0 times infinity.
    finite = np.where(np.isfinite(scored), scored, 0.0)
    mean = (expected * finite).sum(axis=1)
    return Tokens(
        log_likelihood=found,
        rank=1.0 + (scored > found[:, None]).sum(axis=1),
        entropy=-(performed * finite).sum(axis=1),
        mean=mean,
        variance=np.maximum((expected * finite**2).sum(axis=1) - mean**2, 0.0),
    )


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    """Natural log-probabilities in float64, row by row."""
    wide = logits.astype(np.float64)
    wide = wide - wide.max(axis=1, keepdims=True)
    return wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))


def statistics(of: Tokens) -> Statistics | None:
    """The statistics of one text; None where there is no token, or none about which the models are in doubt."""
    count = len(of.log_likelihood)
    likelihood, mean, variance = (float(column.sum()) for column in (of.log_likelihood, of.mean, of.variance))
    if not count or not np.isfinite(likelihood) or mean >= 0 or variance <= 0:
        return None
    values = (
        likelihood / count,
        float(of.rank.mean()),
        float(np.log(of.rank).mean()),
        float(of.entropy.mean()),
        (likelihood - mean) / variance**0.5,
        likelihood / mean,
    )
    return Statistics(count, *(round(value, DIGITS) for value in values))
