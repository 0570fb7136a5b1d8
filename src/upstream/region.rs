//! The vendor's regions, and their names.

use super::endpoint::Endpoint;
use crate::nearest::{is_near, sorted};

/// One of the vendor's regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Its name: `us-east-1`.
    pub name: &'static str,
    /// The domain of its hosts: `mypurecloud.com`.
    domain: &'static str,
}

/// The vendor's regions, from the region tables of its SDKs.
pub const REGIONS: [Region; 18] = [
    region("us-east-1", "mypurecloud.com"),
    region("us-east-2", "use2.us-gov-pure.cloud"),
    region("us-west-2", "usw2.pure.cloud"),
    region("ca-central-1", "cac1.pure.cloud"),
    region("mx-central-1", "mxc1.pure.cloud"),
    region("sa-east-1", "sae1.pure.cloud"),
    region("eu-west-1", "mypurecloud.ie"),
    region("eu-west-2", "euw2.pure.cloud"),
    region("eu-central-1", "mypurecloud.de"),
    region("eu-central-2", "euc2.pure.cloud"),
    region("eusc-de-east-1", "edee1.eusc-pure.cloud"),
    region("me-central-1", "mec1.pure.cloud"),
    region("ap-south-1", "aps1.pure.cloud"),
    region("ap-southeast-1", "apse1.pure.cloud"),
    region("ap-southeast-2", "mypurecloud.com.au"),
    region("ap-northeast-1", "mypurecloud.jp"),
    region("ap-northeast-2", "apne2.pure.cloud"),
    region("ap-northeast-3", "apne3.pure.cloud"),
];

const fn region(name: &'static str, domain: &'static str) -> Region {
    Region { name, domain }
}

impl Region {
    /// The region with a name as the vendor writes it (`us-east-1`), as its SDKs do
    /// (`us_east_1`), or with its domain (`mypurecloud.com`, `api.mypurecloud.com`),
    /// in any case.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let name = text.replace('_', "-");
        let domain = text.strip_prefix("api.").unwrap_or(&text);
        let mut regions = REGIONS.into_iter();
        regions.find(|region| region.name == name || region.domain == domain)
    }

    /// The same as [`Self::find`], for a setting.
    ///
    /// # Errors
    ///
    /// If there is no such region. The text completes a sentence, and lists the
    /// regions.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::find(text).ok_or_else(|| {
            let meant = Self::nearest(text, &REGIONS);
            let meant = meant.map(|meant| format!("; did you mean `{}`?", meant.name));
            format!(
                "is no region{} the regions are {}",
                meant.as_deref().unwrap_or(";"),
                names(REGIONS)
            )
        })
    }

    /// The one of `regions` that a wrong name may mean: the one whose domain it
    /// contains (`https://apps.mypurecloud.de/`), else one with a similar name.
    #[must_use]
    pub fn nearest(wrong: &str, regions: &[Self]) -> Option<Self> {
        let text = wrong.to_ascii_lowercase();
        let contained = regions.iter().filter(|it| text.contains(it.domain));
        // `mypurecloud.com.au` contains `mypurecloud.com`.
        let longest = contained.max_by_key(|region| region.domain.len());
        longest.copied().or_else(|| {
            let nearest = *sorted(&text, regions.iter().map(|it| it.name)).first()?;
            let mut regions = regions.iter().copied();
            regions.find(|region| region.name == nearest && is_near(&text, nearest))
        })
    }

    /// The host of its API.
    #[must_use]
    pub fn host(&self) -> String {
        format!("api.{}", self.domain)
    }

    /// The address of its API.
    ///
    /// # Errors
    ///
    /// None for the regions that there are, which a test shows.
    pub fn endpoint(&self) -> Result<Endpoint, String> {
        Endpoint::from_url(&format!("https://{}", self.host()), false)
    }
}

/// The names of regions, with commas.
pub(super) fn names(regions: impl IntoIterator<Item = Region>) -> String {
    let names: Vec<&str> = regions.into_iter().map(|region| region.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_found_by_each_of_its_names() {
        for region in REGIONS {
            let host = region.host();
            for text in [
                region.name,
                &region.name.replace('-', "_"),
                region.domain,
                &host,
            ] {
                assert_eq!(Region::find(text), Some(region), "{text}");
                assert_eq!(Region::find(&text.to_uppercase()), Some(region), "{text}");
            }
            let endpoint = region.endpoint().unwrap();
            assert_eq!(endpoint.to_string(), format!("https://{host}"));
        }
    }

    #[test]
    fn a_wrong_region_has_the_one_that_may_be_meant() {
        for (wrong, meant) in [
            ("eu-central1", Some("eu-central-1")),
            ("useast1", Some("us-east-1")),
            ("https://apps.mypurecloud.de/", Some("eu-central-1")),
            ("login.mypurecloud.com.au", Some("ap-southeast-2")),
            ("mars", None),
            ("", None),
        ] {
            assert_eq!(Region::find(wrong), None, "{wrong}");
            let nearest = Region::nearest(wrong, &REGIONS);
            assert_eq!(nearest.map(|it| it.name), meant, "{wrong}");
            let problem = Region::parse(wrong).unwrap_err();
            let begin = match meant {
                Some(meant) => format!("is no region; did you mean `{meant}`? the regions are "),
                None => "is no region; the regions are ".to_owned(),
            };
            assert!(problem.starts_with(&begin), "{problem}");
            assert!(problem.ends_with("ap-northeast-3"), "{problem}");
        }
    }
}
