//! Numbers among the arguments, with bounds that say why. Parses nothing else.

/// A parser of whole numbers from `min` to `max`; `why` is told to whoever gives another.
pub fn between(
    min: u64,
    max: u64,
    why: &'static str,
) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    move |text| match text.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("give a whole number from {min} to {max}: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_included_and_the_reason_is_told() {
        let parse = between(2, 5, "because");
        assert_eq!(parse("2"), Ok(2));
        assert_eq!(parse("5"), Ok(5));
        for wrong in ["1", "6", "-1", "x", ""] {
            assert_eq!(parse(wrong), Err("give a whole number from 2 to 5: because".into()));
        }
    }
}
