"""Another mm project, as a user has one beside ours: its own registry, scope and backbone."""
