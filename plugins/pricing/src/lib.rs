//! Prices in any currency, by exchange rates that change while it runs: a plugin that reads hot data.
//!
//! `host.toml` says where the rates come from. Change that file, and the next call quotes by it:
//!
//! ```text
//! host call pricing quote apple USD
//! ```

use plugin_api::{Context, Dataset, info};
use std::collections::BTreeMap;

/// How many of each currency one of `base` is worth.
#[plugin_api::dataset("rates", check = Rates::check)]
struct Rates {
    base: String,
    rates: BTreeMap<String, f64>,
}

impl Rates {
    /// What does not pass is not published: the last good rates go on.
    fn check(&self) -> Result<(), String> {
        if self.base != "EUR" {
            return Err(format!("prices are in EUR, and the base is {}", self.base));
        }
        let wrong = self.rates.iter().find(|(_, rate)| **rate <= 0.0);
        wrong.map_or(Ok(()), |(currency, rate)| {
            Err(format!("the rate of {currency} is {rate}"))
        })
    }
}

/// What it offers to services and other plugins that call it with plain types. They share this trait by a crate of their
/// own; here it stands beside the plugin, so that all of it can be read in one place.
#[plugin_api::interface]
pub trait Quotes {
    /// The price of a piece, in this currency.
    fn quote(&self, item: &str, currency: &str) -> Result<f64, String>;
}

struct Pricing {
    rates: Dataset<Rates>,
}

/// Quotes prices in any currency.
#[plugin_api::plugin(stateless, reads(Rates), offers(Quotes))]
impl Pricing {
    fn new(ctx: &Context) -> Self {
        Pricing {
            rates: ctx.dataset(),
        }
    }

    /// The price of a piece, in this currency.
    fn quote(&self, item: &str, currency: &str) -> Result<f64, String> {
        let cents = match item {
            "apple" => 30.0,
            "pear" => 45.0,
            _ => return Err(format!("there is no {item}")),
        };
        // One revision, until the call ends: whatever is published meanwhile.
        let rates = self.rates.get();
        let rate = rates.rates.get(currency);
        let rate = rate.ok_or_else(|| format!("there is no rate for {currency}"))?;
        Ok((cents * rate).round() / 100.0)
    }

    /// The host calls it after a change, beside the calls. A cache would be cleared here.
    fn on_change(&self, dataset: &str) {
        let currencies = self.rates.get().rates.len();
        info!(currencies, "{dataset} have changed");
    }
}

impl Quotes for Pricing {
    fn quote(&self, item: &str, currency: &str) -> Result<f64, String> {
        Pricing::quote(self, item, currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(usd: f64) -> Rates {
        Rates {
            base: "EUR".to_owned(),
            rates: BTreeMap::from([("EUR".to_owned(), 1.0), ("USD".to_owned(), usd)]),
        }
    }

    #[test]
    fn a_price_is_quoted_by_the_rate() {
        let pricing = Pricing {
            rates: Dataset::of(rates(1.2)),
        };
        assert_eq!(pricing.quote("apple", "EUR"), Ok(0.3));
        assert_eq!(pricing.quote("apple", "USD"), Ok(0.36));
        assert!(pricing.quote("apple", "CHF").is_err());
        assert!(pricing.quote("cherry", "EUR").is_err());
    }

    #[test]
    fn a_rate_below_zero_is_refused() {
        assert!(rates(1.2).check().is_ok());
        let refused = rates(-1.0).check().expect_err("it is below zero");
        assert_eq!(refused, "the rate of USD is -1");
    }
}
