"""Recorded requests asked again: the plan carried out, compared with what was recorded, and put in place."""
