"""Files: tables, CoNLL, audio, MIDI, model folders."""
