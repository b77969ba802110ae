"""From scores to symbols: beam search, CTC, sampling."""
