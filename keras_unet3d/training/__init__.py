"""Training: settings, the tf.data pipeline, the training step and loop, checkpoints, TensorBoard."""
