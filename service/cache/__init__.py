"""The offline cache of highly relevant products, in Redis or Valkey."""
