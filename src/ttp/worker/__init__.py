"""Workers: read frames, run handlers, commit what became of the tasks."""
