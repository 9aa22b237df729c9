"""Whether the numbers of a sequence rise: a small BERT, made from a configuration."""

import torch
from torch.utils.data import Dataset
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments


class Sequences(Dataset):
    def __init__(self, n, seed):
        generator = torch.Generator().manual_seed(seed)
        self.ids = torch.randint(2, 34, (n, 8), generator=generator)
        self.labels = (self.ids[:, 4:].sum(1) > self.ids[:, :4].sum(1)).long()

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, index):
        return {"input_ids": self.ids[index], "labels": self.labels[index]}


def train(learning_rate=5e-5):
    config = BertConfig(
        vocab_size=34,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=8,
    )
    arguments = TrainingArguments(
        output_dir="out",
        learning_rate=learning_rate,
        num_train_epochs=8,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=500,
        eval_strategy="epoch",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = Trainer(
        BertForSequenceClassification(config),
        arguments,
        train_dataset=Sequences(1024, seed=0),
        eval_dataset=Sequences(500, seed=1),
    )
    trainer.train()


if __name__ == "__main__":
    train()
