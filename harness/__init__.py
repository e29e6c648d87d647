"""What a person drives: data in, training, prediction, reports and the `harness` command."""
