"""Jobs: what a user asks for, each composed of the rooms; `keras_unet3d.api` names them."""
