"""What every request passes through: keys, request identifiers, body limits, observation."""
