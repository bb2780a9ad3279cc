//! Whom a fault meets: selectors, blast radius, seeded choice.
