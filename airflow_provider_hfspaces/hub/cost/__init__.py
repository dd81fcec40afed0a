"""What Spaces cost: estimates from list prices, and billed usage."""
