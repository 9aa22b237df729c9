"""The Transformer that translates: what its outputs depend on."""

import torch

from objectives.data.characters import PADDING
from objectives.data.translations import Translations, translations
from objectives.models.translator import Translated, Translator

PAIRS = [("eins", "1"), ("zwei", "2"), ("dreizehn", "13"), ("zwanzig", "20")] * 2


def data() -> Translations:
    return translations(PAIRS, PAIRS[:2], PAIRS[2:4])


def model(beam_width: int = 1) -> Translator:
    torch.manual_seed(0)
    return Translator(data(), 8, heads=2, beam_width=beam_width)


def outputs(translator: Translator, n: int = 8) -> Translated:
    source, target = data().training.inputs
    with torch.inference_mode():
        found: Translated = translator(source[:n], target[:n])
    return found


def test_a_translation_is_made_in_evaluation_only() -> None:
    assert outputs(model()).tokens is None
    tokens = outputs(model().eval()).tokens
    assert tokens is not None
    assert tokens.shape == data().training.targets.shape


def test_logits_depend_on_no_later_token_and_on_no_padding() -> None:
    translator = model().eval()
    source, target = data().training.inputs
    with torch.inference_mode():
        expected = translator(source, target).logits
        changed = torch.cat([target[:, :2], target[:, 2:] * 0 + 3], dim=1)
        torch.testing.assert_close(translator(source, changed).logits[:, :2], expected[:, :2])
        # Alone, the first text is read without padding.
        torch.testing.assert_close(translator(source[:1], target[:1]).logits, expected[:1])


def test_the_translation_is_made_without_the_given_one() -> None:
    translator = model(beam_width=3).eval()
    source, target = data().training.inputs
    with torch.inference_mode():
        first = translator(source, target).tokens
        second = translator(source, torch.full_like(target, PADDING)).tokens
    assert first.tolist() == second.tolist()


def test_the_translation_is_the_one_that_is_most_probable_step_by_step() -> None:
    translator = model().eval()
    source, _ = data().training.inputs
    tokens = outputs(translator).tokens
    assert tokens is not None
    begun = torch.cat([torch.full((len(tokens), 1), data().begin), tokens[:, :-1]], dim=1)
    with torch.no_grad():
        logits = translator(source, begun).logits.clone()
    logits[:, :, [PADDING, data().begin]] = -torch.inf
    counted = tokens != PADDING
    assert logits.argmax(dim=2)[counted].tolist() == tokens[counted].tolist()
