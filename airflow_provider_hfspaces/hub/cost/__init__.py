"""What Spaces cost: list prices and billed usage."""
