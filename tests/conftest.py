"""The strictest JAX that the library promises to run under; set before anything of fnnet is imported."""

import jax
from jaxtyping import install_import_hook

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

# Where signatures speak of shapes they are checked at every call. Not elsewhere: at the edges of the library
# a wrong argument has to meet fnnet's own sentence, and the tests look for that.
install_import_hook(["fnnet.draws", "fnnet.losses", "fnnet.metrics", "fnnet.trees"], "beartype.beartype")
