"""Many windows decoded together: slots, admission, steps, drafts."""
