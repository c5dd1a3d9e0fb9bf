//! Parser of the answer to `CopyImage`. A copy itself is read like any image.

use super::super::Operation;
use super::read;
use crate::clouds::Fault;
use crate::domain::identifiers::ImageId;

/// Reads the answer to `CopyImage`: the id of the new, incomplete image.
pub(in super::super) fn read_begun(body: &[u8]) -> Result<ImageId, Fault> {
    ImageId::parse(read(body, Operation::CopyImage)?.demand("imageId")?).map_err(|_| Fault::Unintelligible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_of_the_copy_is_read() {
        let begun = "<CopyImageResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>\
                     <imageId>ami-0fedcba9876543210</imageId></CopyImageResponse>";
        assert_eq!(read_begun(begun.as_bytes()).unwrap().as_str(), "ami-0fedcba9876543210");
        for body in [
            "",
            "<html>",
            "<CopyImageResponse/>",
            "<CopyImageResponse><imageId/></CopyImageResponse>",
            "<CopyImageResponse><imageId>a b</imageId></CopyImageResponse>",
            "<CopyImageResponse><imageId>ami-1</imageId><imageId>ami-2</imageId></CopyImageResponse>",
            "<DeregisterImageResponse><imageId>ami-1</imageId></DeregisterImageResponse>",
            &begun[..begun.len() - 1],
        ] {
            assert_eq!(read_begun(body.as_bytes()), Err(Fault::Unintelligible), "{body}");
        }
    }
}
