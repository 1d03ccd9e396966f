"""What can be built, trained, saved, loaded and deployed, a folder a family."""
