//! Money in whole minor units of a currency, never in fractions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An ISO 4217 currency in circulation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

// The national currencies of ISO 4217 list one and those of currency unions, as of January 2026; funds, metals and test codes
// are left out. A code that is withdrawn later stays readable where it is stored, see [`Currency::stored`].
const CODES: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY \
COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR \
ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK \
MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF \
SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU \
UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG";

/// A text that is no currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an ISO 4217 currency code like EUR")]
pub struct CurrencyError;

impl Currency {
    /// Reads a stored code: any three capital letters, because a currency that is withdrawn later stays readable.
    ///
    /// # Errors
    /// [`CurrencyError`] for any other text.
    pub fn stored(text: &str) -> Result<Self, CurrencyError> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| CurrencyError)?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code)).ok_or(CurrencyError)
    }

    /// The code: three capital letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency is made of ASCII letters only")
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        let code = Self::stored(text)?;
        CODES.split_ascii_whitespace().any(|known| known == text).then_some(code).ok_or(CurrencyError)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The sum of `price × qty` over lines, or `None` beyond what 64 bits hold.
pub fn total_minor(lines: impl IntoIterator<Item = (i64, u32)>) -> Option<i64> {
    lines.into_iter().try_fold(0i64, |sum, (price, qty)| sum.checked_add(price.checked_mul(i64::from(qty))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_currencies_in_circulation_are_read() {
        assert_eq!("EUR".parse::<Currency>().map(|c| c.to_string()), Ok("EUR".to_owned()));
        for bad in ["", "eur", "EURO", "XXX", "E R", "EU", "€€€"] {
            assert_eq!(bad.parse::<Currency>(), Err(CurrencyError), "{bad}");
        }
    }

    #[test]
    fn the_list_has_the_newest_currencies_and_none_that_was_withdrawn() {
        let codes: Vec<&str> = CODES.split_ascii_whitespace().collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "sorted, none twice");
        assert_eq!(codes.len(), 155);
        for new in ["XCG", "VED", "ZWG", "SLE", "MRU", "STN", "BYN", "XAF", "XOF", "XPF", "XCD"] {
            assert!(new.parse::<Currency>().is_ok(), "{new}");
        }
        for withdrawn in ["ANG", "BGN", "HRK", "CUC", "ZWL", "SLL", "MRO", "STD", "VEF", "BYR", "LTL", "DEM"]
        {
            assert_eq!(withdrawn.parse::<Currency>(), Err(CurrencyError), "{withdrawn}");
            assert_eq!(Currency::stored(withdrawn).map(|c| c.to_string()), Ok(withdrawn.to_owned()));
        }
        for fund in ["CHE", "CLF", "COU", "MXV", "USN", "UYW", "XAU", "XDR", "XTS"] {
            assert_eq!(fund.parse::<Currency>(), Err(CurrencyError), "{fund}");
        }
        assert_eq!(Currency::stored("eur"), Err(CurrencyError));
    }

    #[test]
    fn a_total_beyond_64_bits_is_refused_instead_of_wrapped() {
        assert_eq!(total_minor([(250, 2), (100, 1)]), Some(600));
        assert_eq!(total_minor([(i64::MAX, 2)]), None);
        assert_eq!(total_minor([(i64::MAX, 1), (1, 1)]), None);
    }
}
