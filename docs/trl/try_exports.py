"""Train one step on files as `python -m arena export` wrote them: `python docs/trl/try_exports.py DPO KTO SFT`.

The model is tiny and randomly initialised, and its tokenizer is trained on the spot, so nothing is downloaded. That the
step runs shows that TRL reads the files as they are; what the model learns from one step means nothing.
"""

import sys
import tempfile
from pathlib import Path

from datasets import Dataset, load_dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer

CHAT = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
MARKS = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]


def main() -> None:
    """One step of each trainer."""
    preferences, unpaired, supervised = (_read(Path(name)) for name in sys.argv[1:4])
    tokenizer = _tokenizer(preferences)
    step = {
        "max_steps": 1,
        "per_device_train_batch_size": 2,
        "report_to": "none",
        "use_cpu": True,
        "save_strategy": "no",
    }
    with tempfile.TemporaryDirectory() as folder:
        begun = {
            "DPO": DPOTrainer(
                model=_model(tokenizer),
                ref_model=_model(tokenizer),
                args=DPOConfig(output_dir=folder, beta=0.1, **step),
                train_dataset=preferences,
                processing_class=tokenizer,
            ),
            "KTO": KTOTrainer(
                model=_model(tokenizer),
                ref_model=_model(tokenizer),
                args=KTOConfig(output_dir=folder, **step),
                train_dataset=unpaired,
                processing_class=tokenizer,
            ),
            "SFT": SFTTrainer(
                model=_model(tokenizer),
                args=SFTConfig(output_dir=folder, **step),
                train_dataset=supervised,
                processing_class=tokenizer,
            ),
        }
        for name, trainer in begun.items():
            before = _weights(trainer.model)
            loss = trainer.train().training_loss
            moved = float((_weights(trainer.model) - before).abs().max())
            if not moved > 0:
                sys.exit(f"{name}: the step changed nothing.")
            seen = len(trainer.train_dataset)
            sys.stdout.write(f"{name}: {seen} examples, loss {loss:.4f}, weights moved by up to {moved:.0e}\n")


def _read(path: Path) -> Dataset:
    return load_dataset("json", data_files=str(path), split="train")


def _tokenizer(preferences: Dataset) -> PreTrainedTokenizerFast:
    texts = [message["content"] for row in preferences for side in row.values() for message in side]
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trained.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=500, special_tokens=MARKS, initial_alphabet=alphabet)
    )
    made = PreTrainedTokenizerFast(tokenizer_object=trained, pad_token=MARKS[0], eos_token=MARKS[1])
    made.chat_template = CHAT
    return made


def _model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """The same weights each time: a trainer's reference is the model before its first step."""
    set_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=1024,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def _weights(model: LlamaForCausalLM) -> Tensor:
    return model.get_output_embeddings().weight.detach().clone()


if __name__ == "__main__":
    main()
